"""Labelled in, labelled out: what recordings, whether of brains or of models, have to say."""

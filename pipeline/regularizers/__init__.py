"""What draws a layer of a network towards recorded responses: penalty(features, target, ...) → one number."""

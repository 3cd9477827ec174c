"""The outside world as labelled data: recordings, images, simulations whose truth is known."""

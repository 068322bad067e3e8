"""Small real models that the demo and the tests run."""

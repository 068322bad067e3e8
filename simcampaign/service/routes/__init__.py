"""The routes: each module has those about one thing."""

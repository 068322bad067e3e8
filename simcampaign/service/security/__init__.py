"""What stands between the network and the service: who asks, from where, how often, and how much."""

"""Events over Socket.IO: who listens, to what, and from where on."""

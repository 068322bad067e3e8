"""Events over Socket.IO: who listens, to what, and from where on."""

from simcampaign.service.sockets.server import make_sockets

__all__ = ["make_sockets"]

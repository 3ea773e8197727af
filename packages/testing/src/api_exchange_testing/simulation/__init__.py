"""Deterministic simulation of an exchange on many instances, while things go wrong."""

from api_exchange_testing.simulation.explore import explore
from api_exchange_testing.simulation.plan import Event, Fault, Plan
from api_exchange_testing.simulation.simulation import BrokenPromiseError, Simulation

__all__ = ["BrokenPromiseError", "Event", "Fault", "Plan", "Simulation", "explore"]

"""The names of the sample program: each module re-exports what its part of the platform offers."""

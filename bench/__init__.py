"""What PortBroker costs, measured against those that do less; see README.md."""

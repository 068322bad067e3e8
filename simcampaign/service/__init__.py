"""The job manager: a service that queues jobs of many clients and runs them on the configured sites."""

"""The service's door: REST over the use cases. Handlers convert, call one use case, and convert back."""

"""Where ports meet adapters, and the only place.

`use_cases.UseCases` wires the application over whatever fulfils its ports; `local.LocalContainer` gives it the
adapters of one machine. Containers compose: a cloud's, or a test's in memory, hands its own adapters to `UseCases` in
the same way. Importing this package loads neither.
"""

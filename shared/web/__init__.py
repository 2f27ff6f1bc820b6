"""The HTTP edge: routes as declarations, and the one path that every request takes through them.

A service declares its routes with a `Router` and hands that to `service.Service`; authentication,
parsing, conditional requests, paging, rendering and refusals are the same for all of them and stand
here once. Nothing is exported here.
"""

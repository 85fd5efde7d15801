"""What became of each call, for those who are looking: the debugger of the admin and the panel on a shop's page.

`reporting` is told of every commit and every refusal, makes `calls` of them and, only while somebody watches the
store, puts them into the `feed` in Valkey. `answers` gives a page that carries a `passes` token the outcomes of
its own events, in the answer to its own request. `mends` says what to do about each fault.
"""

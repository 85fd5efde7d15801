"""From the bytes of a request to rows of the log.

decoding → messages → validation (each in the request's thread) → committer (one thread a process) → writing

`decoding` splits a body into raw events, `messages` reads one, `validation` checks and normalises it into a
`Draft`, `committer` groups the drafts of all requests that are waiting, and `writing` puts a group into the
database in one transaction: gate, people, log, quarantine, counts.
"""

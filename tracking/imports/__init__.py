"""Files of events, of any length, into the log: CSV, JSON lines and Parquet.

`files` opens them, `csv_records`, `json_records` and `parquet_records` give numbered records, `columns` and `messages`
make messages of the tracking contract of them, and `run` takes these in, remembering how far it came.
"""

from consent.admin import ledgers, notices, panels, requests, suppressions

__all__ = ["ledgers", "notices", "panels", "requests", "suppressions"]

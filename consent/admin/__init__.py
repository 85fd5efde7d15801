from consent.admin import ledgers, notices, panels, policies, requests, suppressions

__all__ = ["ledgers", "notices", "panels", "policies", "requests", "suppressions"]

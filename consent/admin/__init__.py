from consent.admin import ledgers, notices, panels, policies, regions, requests, suppressions

__all__ = ["ledgers", "notices", "panels", "policies", "regions", "requests", "suppressions"]

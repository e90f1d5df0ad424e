"""`make dashboard`: writes charts/umbel/files/dashboard.json, for Grafana 10 and newer."""

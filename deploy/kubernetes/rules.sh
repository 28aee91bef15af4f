#!/bin/sh
# Prints the recording rules and the alerts as one PrometheusRule, for the Prometheus Operator:
# deploy/kubernetes/rules.sh | kubectl apply -f -
set -e
cd "$(dirname "$0")/../../prometheus/rules"
cat <<'END'
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: streamgauge
  labels:
    app.kubernetes.io/name: ollama
spec:
END
# The groups of both files, in one list.
sed 's/^/  /' recording.yml
grep -v '^groups:' alerts.yml | sed 's/^/  /'

"""custom_resource.py DEFINITION FILE: fails unless FILE is a valid resource of DEFINITION without unknown fields."""

import sys

import jsonschema
import yaml


def strict(schema):
    """Rejects unknown fields, which the API server would drop."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for inner in schema.values():
            strict(inner)
    elif isinstance(schema, list):
        for inner in schema:
            strict(inner)
    return schema


definition, resource = (yaml.safe_load(open(path, encoding="utf-8")) for path in sys.argv[1:])
group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
versions = {f"{group}/{version['name']}": version["schema"]["openAPIV3Schema"] for version in definition["spec"]["versions"]}
assert resource["kind"] == kind, f"a {resource['kind']} is no {kind}"
schema = versions[resource["apiVersion"]]
# Fields that every object has, and which its definition leaves to Kubernetes.
schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
jsonschema.validate(resource, strict(schema))
print(f"{resource['metadata']['name']} is a {kind} of {resource['apiVersion']}")

"""custom_resource.py DEFINITION FILE: fails unless FILE is a resource as DEFINITION has it, with no field that it does not know."""

import sys

import jsonschema
import yaml


def strict(schema):
    """The API server drops what it does not know; here that is a mistake."""
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
# What every object has, and its definition leaves to Kubernetes.
schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
jsonschema.validate(resource, strict(schema))
print(f"{resource['metadata']['name']} is a {kind} of {resource['apiVersion']}")

"""Reading how much CPU, memory and so on a container asks for."""

from umbel.spec import bounds
from umbel.spec.fields import Section, kind, shown
from umbel.spec.model import Json


def read_resources(section: Section) -> Json:
    """`resources` of a pool or of beat, as they are; faults go to the section's collector."""
    resources = section.section("resources")
    resources.only("requests", "limits")
    for name in ("requests", "limits"):
        _check_quantities(resources.section(name))
    return resources.data


def _check_quantities(section: Section) -> None:
    if len(section.data) > bounds.RESOURCES:
        section.faults.add(section.path, f"must not have more than {bounds.RESOURCES} entries")
        return
    for name, value in section.data.items():
        message = _quantity_fault(value)
        if message is not None:
            section.fault(str(name), message)


def _quantity_fault(value: object) -> str | None:
    if type(value) is int:
        return None if value >= 0 else f"must not be negative, but is {shown(value)}"
    if not isinstance(value, str):
        return f"must be a number or a string, not {kind(value)}"
    return bounds.QUANTITY.fault_of(value)

"""Reading `spec.beat`."""

from umbel.spec import bounds
from umbel.spec.fields import Section
from umbel.spec.model import Beat
from umbel.spec.pod_template import OF_BEAT, read_pod_template
from umbel.spec.quantities import read_resources

BEAT = "beat"
"""What follows the TaskQueue's name in the name of the Deployment, where a pool has its own."""


def read_beat(section: Section) -> Beat | None:
    """`spec.beat`, checked whether it is enabled or not; None where it is not."""
    section.only("enabled", "schedule", "resources", "podTemplate")
    schedule = section.section("schedule")
    schedule.only("scheduler", "claimName")
    beat = Beat(
        scheduler=schedule.optional_text("scheduler", bounds.SCHEDULER),
        claim_name=schedule.optional_text("claimName", bounds.OBJECT_NAME),
        resources=read_resources(section),
        pod_template=read_pod_template(section, OF_BEAT),
    )
    return beat if section.boolean("enabled", default=False) else None

"""Wrong TaskQueues, as data: what is wrong, and what the user is to read about it.

Read by the parser's unit tests and by the end-to-end tests, which give the same table to a real API
server. Every one is refused by `umbel.spec.parse`; those with `refused_by="schema"` are refused at
`kubectl apply` already, those with `"ready"` are accepted there and reported in the condition
Ready.
"""

from tests.unit.spec.wrong_fields import FIELDS
from tests.unit.spec.wrong_pod_templates import POD_TEMPLATES
from tests.unit.spec.wrong_settings import SETTINGS

WRONG_SPECS = [*FIELDS, *SETTINGS, *POD_TEMPLATES]

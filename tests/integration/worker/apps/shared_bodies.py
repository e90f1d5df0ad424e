from bodies import SAYS, hold, stubborn
from celery import shared_task

for body in (hold, stubborn):
    shared_task(name=body.__name__, **SAYS)(body)

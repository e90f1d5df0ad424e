"""One application with tasks of all styles that can share one, configured as it is imported."""

from typing import Any

from bodies import CONF, SAYS, hold, quick, stubborn
from celery import Celery, Task, bootsteps, shared_task, signals

from styles.declaring import BODIES, declare, of_class

app = Celery("shop", broker="redis://nowhere.invalid")


class Annotation:
    """An own annotation, which is asked for each task."""

    def annotate(self, task: Task) -> "dict[str, Any]":
        return dict(SAYS) if task.name.startswith("annotated.") else {}


app.conf.update({**CONF, "task_annotations": (Annotation(), CONF["task_annotations"])})

declare("decorated", app.task)
declare("shared", shared_task)
for body in BODIES:
    app.task(name=f"annotated.{body.__name__}")(body)


@app.task(bind=True, name="bound.hold", **SAYS)
def bound_hold(self: Task, key: str, gate: str) -> None:
    assert self.request.id
    hold(key, gate)


@app.task(bind=True, name="bound.stubborn", **SAYS)
def bound_stubborn(self: Task, key: str) -> None:
    stubborn(key)


@app.task(bind=True, name="bound.quick", **SAYS)
def bound_quick(self: Task, key: str) -> None:
    quick(key)


for each in of_class("classy", app.Task):
    app.register_task(each())


class Base(app.Task):  # type: ignore[misc,name-defined]
    """A base class with attributes of its own."""

    abstract = True


for attribute, value in SAYS.items():
    setattr(Base, attribute, value)
for body in BODIES:
    app.task(base=Base, name=f"based.{body.__name__}")(body)

app.autodiscover_tasks(["styles"], related_name="discovered")


@signals.celeryd_after_setup.connect(weak=False)
def late_import(**_: Any) -> None:
    """Tasks of a module that a signal's handler imports."""
    declare("signalled", app.task)


class Registering(bootsteps.StartStopStep):  # type: ignore[misc]
    """Tasks made when the worker is being built: after every signal that comes before."""

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        declare("made", app.task)


app.steps["consumer"].add(Registering)

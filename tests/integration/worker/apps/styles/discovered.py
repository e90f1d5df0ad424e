"""What `autodiscover_tasks` finds."""

from celery import shared_task

from styles.declaring import declare

declare("discovered", shared_task)

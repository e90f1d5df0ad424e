from celery import shared_task

from styles.declaring import declare

declare("plain", shared_task)

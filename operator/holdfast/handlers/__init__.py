"""kopf glue: watches fill `Desired`, and a level-based reconciler makes the own cluster match. It decides no routing.

For the composition root:

    reconciler = handlers.register(registry, context)     # watches on an explicit kopf.OperatorRegistry
    async with asyncio.TaskGroup() as group:
        group.create_task(kopf.operator(registry=registry, ...))
        group.create_task(reconciler.run())
"""

from holdfast.handlers.context import Context as Context
from holdfast.handlers.context import ReadsSecrets as ReadsSecrets
from holdfast.handlers.events import Recorder as Recorder
from holdfast.handlers.reconciler import Reconciler as Reconciler
from holdfast.handlers.watches import register as register

__all__ = ["Context", "ReadsSecrets", "Reconciler", "Recorder", "register"]

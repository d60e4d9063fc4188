"""The SAM transform: MiniStack runs it without the values of the parameters, and resolves a Ref to the default."""

import contextvars

from ministack.services.cloudformation import changesets, engine, handlers
from samtranslator.translator import transform as sam

values = contextvars.ContextVar("values")


def fill():
    apply, transform = engine._apply_transforms, sam.transform

    def apply_transforms(template, provided_params=None, previous_params=None):
        token = values.set(engine._transform_parameters(template, provided_params, previous_params))
        try:
            return apply(template, provided_params, previous_params)
        finally:
            values.reset(token)

    sam.transform = lambda template, _, loader: transform(template, values.get(), loader)
    for module in (changesets, engine, handlers):
        module._apply_transforms = apply_transforms

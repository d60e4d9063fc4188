"""A log group as the target of a rule: MiniStack has none. The policy of CloudWatch Logs that EventBridge needs is not
checked."""

import json
import time
import uuid

from ministack.services import cloudwatch_logs, eventbridge


def fill():
    invoke = eventbridge._invoke_target

    def invoke_target(target, event, rule, view=None):
        service, resource = target["Arn"].split(":", 5)[2::3]
        if service != "logs":
            return invoke(target, event, rule, view)
        view = view or eventbridge._pattern_event_view(event)
        group, stream = resource.removeprefix("log-group:"), str(uuid.uuid4())
        cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
        line = {"timestamp": int(time.time() * 1000), "message": json.dumps(view.event_with_detail())}
        cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": [line]})

    eventbridge._invoke_target = invoke_target

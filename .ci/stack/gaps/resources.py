"""Resources that MiniStack does not know. They only get a name: alarms with Metrics (it has those of one
metric), and saved queries of CloudWatch Logs."""

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners


def fill():
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::Logs::QueryDefinition"] = {"create": query_definition, "delete": nothing}
    alarm = provisioners._cw_metric_alarm_put

    def put(name, properties):
        if properties.get("Metrics"):
            return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}
        return alarm(name, properties)

    provisioners._cw_metric_alarm_put = put


def query_definition(logical_id, properties, stack):
    return provisioners._physical_name(stack, logical_id), {}


def nothing(physical_id, properties):
    pass

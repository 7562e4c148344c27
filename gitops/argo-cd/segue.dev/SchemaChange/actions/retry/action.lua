-- Any new value will do, and the resource's version is new after every write.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["segue.dev/retry"] = "argo-cd-" .. obj.metadata.resourceVersion
return obj

obj.spec.rollback = true
return obj

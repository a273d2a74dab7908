package builtin_errors

violation contains {"msg": "divided"} if 100 / (count(input.review.object.spec.containers) - 1) > 1

violation contains {"msg": "number"} if to_number(input.review.object.metadata.labels.number) > 1

violation contains {"msg": concat("", ["never"])} if substring(input.review.object.spec.containers[_].image, -1, 1) == "x"

violation contains {"msg": "other violations stay"} if input.review.object.spec.containers

package main

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// podResourceDefaults fills in what a Pod asks for as a whole, which few do: what
// its containers ask for together, and else its limit (defaultHugePagePodLimits,
// defaultPodRequests).
func podResourceDefaults(spec map[string]any) {
	resources := objectIn(spec, "resources")
	if len(objectIn(resources, "limits"))+len(objectIn(resources, "requests")) == 0 {
		return
	}
	fillMissing(resources, "limits", together(spec, "limits", func(name string) bool {
		return strings.HasPrefix(name, "hugepages-") && objectIn(resources, "requests")[name] == nil
	}))
	if limits := objectIn(resources, "limits"); len(limits) > 0 {
		fillMissing(resources, "requests", together(spec, "requests", func(name string) bool {
			return name == "cpu" || name == "memory"
		}))
		fillMissing(resources, "requests", limits)
	}
}

// together is what containers ask for, of the resources that are wanted: the sum
// over containers and sidecars, or what one init container and the sidecars
// before it ask for, if that is more (AggregateContainerRequests).
func together(spec map[string]any, field string, wanted func(name string) bool) map[string]any {
	sum, sidecars, most := amounts{}, amounts{}, amounts{}
	eachObject(spec["containers"], func(container map[string]any) {
		sum.add(amountsOf(container, field, wanted))
	})
	eachObject(spec["initContainers"], func(container map[string]any) {
		own := amountsOf(container, field, wanted)
		if container["restartPolicy"] == "Always" {
			sum.add(own)
			sidecars.add(own)
		} else {
			own.add(sidecars)
			most.atLeast(own)
		}
	})
	sum.atLeast(most)
	out := map[string]any{}
	for name, quantity := range sum {
		out[name] = quantity.String()
	}
	return out
}

type amounts map[string]resource.Quantity

// amountsOf leaves out what is no quantity: the API server refuses that.
func amountsOf(container map[string]any, field string, wanted func(name string) bool) amounts {
	out := amounts{}
	for name, value := range objectIn(objectIn(container, "resources"), field) {
		text, _ := value.(string)
		if number, ok := value.(json.Number); ok {
			text = number.String()
		}
		if quantity, err := resource.ParseQuantity(text); err == nil && wanted(name) {
			out[name] = quantity
		}
	}
	return out
}

func (a amounts) add(other amounts) {
	for name, quantity := range other {
		sum := a[name].DeepCopy()
		sum.Add(quantity)
		a[name] = sum
	}
}

func (a amounts) atLeast(other amounts) {
	for name, quantity := range other {
		if own, ok := a[name]; !ok || quantity.Cmp(own) > 0 {
			a[name] = quantity
		}
	}
}

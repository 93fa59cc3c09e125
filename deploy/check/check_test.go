// Package check holds the Kubernetes and Cloud Run files to the types of the
// API, field by field, and the pods to Pod Security "restricted" as the API
// server enforces it. It is a module of its own, so that the server does not
// depend on Kubernetes.
package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds are what our files may hold.
var kinds = map[string]func() any{
	"v1/Namespace":                       func() any { return new(corev1.Namespace) },
	"v1/Service":                         func() any { return new(corev1.Service) },
	"v1/ServiceAccount":                  func() any { return new(corev1.ServiceAccount) },
	"apps/v1/Deployment":                 func() any { return new(appsv1.Deployment) },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":      func() any { return new(policyv1.PodDisruptionBudget) },
	"node.k8s.io/v1/RuntimeClass":        func() any { return new(nodev1.RuntimeClass) },
	"serving.knative.dev/v1/Service":     func() any { return new(knativeService) },
}

// knativeService is the part of Knative's type that Cloud Run takes.
type knativeService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Template struct {
			metav1.ObjectMeta `json:"metadata,omitempty"`
			Spec              struct {
				corev1.PodSpec       `json:",inline"`
				ContainerConcurrency *int64 `json:"containerConcurrency,omitempty"`
				TimeoutSeconds       *int64 `json:"timeoutSeconds,omitempty"`
			} `json:"spec,omitempty"`
		} `json:"template"`
	} `json:"spec,omitempty"`
}

// decode reads an object; a field that its type does not have is an error.
func decode(text []byte) (any, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	name := kind.APIVersion + "/" + kind.Kind
	made, ok := kinds[name]
	if !ok {
		return nil, fmt.Errorf("%s is none of the kinds that we use", name)
	}
	object := made()
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return object, nil
}

// build is what kubectl apply -k would send.
func build(t *testing.T, dir string) []any {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var objects []any
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, err := decode(text)
		if err != nil {
			t.Error(err)
		}
		objects = append(objects, object)
	}
	return objects
}

func find[T any](t *testing.T, objects []any) *T {
	t.Helper()
	for _, o := range objects {
		if found, ok := o.(*T); ok {
			return found
		}
	}
	t.Fatalf("there is no %T", new(T))
	return nil
}

// restricted is what Pod Security says of a pod at level restricted.
func restricted(t *testing.T, pod corev1.PodTemplateSpec) (bool, string) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(
		api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
	return result.Allowed, result.ForbiddenDetail()
}

func TestKubernetes(t *testing.T) {
	for _, dir := range []string{"base", "overlays/gvisor"} {
		t.Run(dir, func(t *testing.T) {
			objects := build(t, "../kubernetes/"+dir)
			pod := find[appsv1.Deployment](t, objects).Spec.Template
			if ok, why := restricted(t, pod); !ok {
				t.Errorf("Pod Security restricted forbids the pod: %s", why)
			}
			probes(t, pod.Spec.Containers[0])
			if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks || pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
				t.Error("service links or the account's token would be in the pod")
			}
			network := find[networkingv1.NetworkPolicy](t, objects).Spec
			if len(network.Egress) != 0 || len(network.PolicyTypes) != 2 {
				t.Errorf("the network policy lets something out: %+v", network)
			}
			selector := find[policyv1.PodDisruptionBudget](t, objects).Spec.Selector
			for _, labels := range []map[string]string{network.PodSelector.MatchLabels, selector.MatchLabels, find[corev1.Service](t, objects).Spec.Selector} {
				if len(labels) == 0 || labels["app.kubernetes.io/name"] != pod.Labels["app.kubernetes.io/name"] {
					t.Errorf("labels %v do not select the pod's %v", labels, pod.Labels)
				}
			}
			if wantClass := strings.Contains(dir, "gvisor"); wantClass != (pod.Spec.RuntimeClassName != nil) {
				t.Errorf("runtime class %v", pod.Spec.RuntimeClassName)
			}
		})
	}
}

func probes(t *testing.T, c corev1.Container) {
	t.Helper()
	for path, probe := range map[string]*corev1.Probe{"/readyz": c.StartupProbe, "/livez": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
			t.Errorf("a probe does not ask %s: %+v", path, probe)
		}
	}
	if c.ReadinessProbe != nil && c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("readiness asks %s", c.ReadinessProbe.HTTPGet.Path)
	}
}

func TestFilesOfTheirOwn(t *testing.T) {
	for _, file := range []string{"../kubernetes/overlays/gvisor/runtimeclass.yaml", "../cloudrun/service.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		object, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if service, ok := object.(*knativeService); ok {
			probes(t, service.Spec.Template.Spec.Containers[0])
		}
	}
}

// TestCheckFinds: a file with a mistake is found.
func TestCheckFinds(t *testing.T) {
	if _, err := decode([]byte("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {port: 80}\n")); err == nil {
		t.Error("a field that a Service does not have was not found")
	}
	root := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x"}}}}
	if ok, _ := restricted(t, root); ok {
		t.Error("a pod without a security context is called restricted")
	}
}

// Command jaeger runs the parts of Jaeger that the tests need: its OTLP receiver over HTTP, its in-memory storage and
// its query API (/api/v3), on ports 4318 and 16686 of the address that is its argument.
//
// Jaeger's own all-in-one links Cassandra, Elasticsearch, Kafka and others: its build takes more than an hour on two
// busy cores, and this program's takes minutes. Go allows the imports of Jaeger's internal packages because the name of
// this program's module begins with Jaeger's; see ../install.sh.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/gorilla/mux"
	"github.com/jaegertracing/jaeger/cmd/query/app/apiv3"
	"github.com/jaegertracing/jaeger/cmd/query/app/querysvc/v2/querysvc"
	v1 "github.com/jaegertracing/jaeger/internal/storage/v1/memory"
	"github.com/jaegertracing/jaeger/internal/storage/v2/memory"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	metrics "go.opentelemetry.io/otel/metric/noop"
	traces "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: jaeger ADDRESS")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	logger, err := zap.NewDevelopment()
	if err != nil {
		return err
	}
	store, err := memory.NewStore(v1.Configuration{MaxTraces: 100_000})
	if err != nil {
		return err
	}
	if err := receive(address, store, logger); err != nil {
		return err
	}
	router := mux.NewRouter()
	gateway := apiv3.HTTPGateway{
		QueryService: querysvc.NewQueryService(store, store, querysvc.QueryServiceOptions{}),
		Logger:       logger,
		Tracer:       traces.NewTracerProvider(),
	}
	gateway.RegisterRoutes(router)
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "16686"))
	if err != nil {
		return err
	}
	logger.Info("queries are answered")
	return http.Serve(listener, router)
}

// receive starts the OTLP receiver, which writes to the store.
func receive(address string, store *memory.Store, logger *zap.Logger) error {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	defaults := config.HTTP.GetOrInsertDefault()
	defaults.ServerConfig.Endpoint = net.JoinHostPort(address, "4318")
	config.Protocols = otlpreceiver.Protocols{HTTP: configoptional.Some(*defaults)}
	next, err := consumer.NewTraces(store.WriteTraces)
	if err != nil {
		return err
	}
	settings := receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         logger,
			TracerProvider: traces.NewTracerProvider(),
			MeterProvider:  metrics.NewMeterProvider(),
		},
	}
	otlp, err := factory.CreateTraces(context.Background(), settings, config, next)
	if err != nil {
		return err
	}
	return otlp.Start(context.Background(), componenttest.NewNopHost())
}

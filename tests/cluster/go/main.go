// Command clients drives a broker with franz-go and checks what comes back. It prints one line per
// check and exits with 1 when one fails.
//
//	clients BOOTSTRAP
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var bootstrap string

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, options...)...)
	if err != nil {
		panic(err)
	}
	return made
}

func createTopic(ctx context.Context, name string, partitions int32, configs map[string]*string) error {
	admin := kadm.NewClient(client())
	defer admin.Close()
	answer, err := admin.CreateTopic(ctx, partitions, 1, configs, name)
	if err != nil {
		return err
	}
	return answer.Err
}

// readAll reads `count` records of all given partitions from their start.
func readAll(ctx context.Context, topic string, partitions int32, count int) ([]*kgo.Record, error) {
	offsets := map[int32]kgo.Offset{}
	for p := int32(0); p < partitions; p++ {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	defer reader.Close()
	var records []*kgo.Record
	for len(records) < count {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func codecs(ctx context.Context) error {
	all := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string]kgo.Acks{"none": kgo.NoAck(), "leader": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	for codecName, codec := range all {
		for acksName, ack := range acks {
			topic := "go-" + codecName + "-" + acksName
			if err := createTopic(ctx, topic, 1, nil); err != nil {
				return err
			}
			options := []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(ack)}
			if acksName != "all" {
				options = append(options, kgo.DisableIdempotentWrite())
			}
			writer := client(options...)
			var failed error
			for n := 0; n < 1000; n++ {
				record := &kgo.Record{Topic: topic, Value: []byte(fmt.Sprintf("value %d", n)),
					Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(fmt.Sprint(n))}}}
				writer.Produce(ctx, record, func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
			}
			if err := writer.Flush(ctx); err != nil || failed != nil {
				return errors.Join(err, failed)
			}
			writer.Close()
			records, err := readAll(ctx, topic, 1, 1000)
			if err != nil {
				return err
			}
			for n, record := range records {
				if string(record.Value) != fmt.Sprintf("value %d", n) || record.Offset != int64(n) ||
					string(record.Headers[0].Value) != fmt.Sprint(n) {
					return fmt.Errorf("%s: record %d is %q at %d", topic, n, record.Value, record.Offset)
				}
			}
		}
	}
	return nil
}

func partitions(ctx context.Context) error {
	if err := createTopic(ctx, "go-wide", 64, nil); err != nil {
		return err
	}
	writer := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer writer.Close()
	for n := 0; n < 6400; n++ {
		writer.Produce(ctx, &kgo.Record{Topic: "go-wide", Partition: int32(n % 64), Value: []byte(fmt.Sprint(n))}, nil)
	}
	if err := writer.Flush(ctx); err != nil {
		return err
	}
	records, err := readAll(ctx, "go-wide", 64, 6400)
	if err != nil {
		return err
	}
	next := map[int32]int{}
	for _, record := range records {
		want := int(record.Partition) + 64*next[record.Partition]
		if string(record.Value) != fmt.Sprint(want) {
			return fmt.Errorf("partition %d: %q instead of %d", record.Partition, record.Value, want)
		}
		next[record.Partition]++
	}
	return nil
}

func large(ctx context.Context) error {
	limit := "6000000"
	if err := createTopic(ctx, "go-large", 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	writer := client(kgo.ProducerBatchMaxBytes(6000000), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer writer.Close()
	value := bytes.Repeat([]byte("large"), 1_000_000)
	if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "go-large", Value: value}).FirstErr(); err != nil {
		return err
	}
	records, err := readAll(ctx, "go-large", 1, 1)
	if err != nil {
		return err
	}
	if !bytes.Equal(records[0].Value, value) {
		return errors.New("the large record changed on its way")
	}
	return nil
}

func tombstones(ctx context.Context) error {
	if err := createTopic(ctx, "go-tombstones", 1, nil); err != nil {
		return err
	}
	writer := client()
	defer writer.Close()
	if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "go-tombstones", Key: []byte("k")},
		&kgo.Record{Topic: "go-tombstones", Key: nil, Value: []byte{}}).FirstErr(); err != nil {
		return err
	}
	records, err := readAll(ctx, "go-tombstones", 1, 2)
	if err != nil {
		return err
	}
	if records[0].Value != nil || records[1].Key != nil || records[1].Value == nil {
		return errors.New("null and empty were mixed up")
	}
	return nil
}

func times(ctx context.Context) error {
	if err := createTopic(ctx, "go-times", 1, nil); err != nil {
		return err
	}
	writer := client()
	defer writer.Close()
	start := time.UnixMilli(1_700_000_000_000)
	for n := 0; n < 500; n++ {
		writer.Produce(ctx, &kgo.Record{Topic: "go-times", Value: []byte(fmt.Sprint(n)),
			Timestamp: start.Add(time.Duration(n) * time.Second)}, nil)
	}
	if err := writer.Flush(ctx); err != nil {
		return err
	}
	admin := kadm.NewClient(client())
	defer admin.Close()
	offsets, err := admin.ListOffsetsAfterMilli(ctx, start.UnixMilli()+123*1000, "go-times")
	if err != nil {
		return err
	}
	if found, _ := offsets.Lookup("go-times", 0); found.Offset != 123 {
		return fmt.Errorf("offset %d instead of 123", found.Offset)
	}
	return nil
}

func admin(ctx context.Context) error {
	admin := kadm.NewClient(client())
	defer admin.Close()
	if err := createTopic(ctx, "go-admin", 2, nil); err != nil {
		return err
	}
	if err := createTopic(ctx, "go-admin", 2, nil); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("created twice: %v", err)
	}
	if _, err := admin.UpdatePartitions(ctx, 6, "go-admin"); err != nil {
		return err
	}
	details, err := admin.ListTopics(ctx, "go-admin")
	if err != nil || len(details["go-admin"].Partitions) != 6 {
		return fmt.Errorf("partitions: %d, %v", len(details["go-admin"].Partitions), err)
	}
	value := "4321"
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, "go-admin")
	if err != nil || altered[0].Err != nil {
		return errors.Join(err, altered[0].Err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "go-admin")
	if err != nil {
		return err
	}
	found := ""
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			found = *config.Value
		}
	}
	if found != "4321" {
		return fmt.Errorf("retention.ms is %q", found)
	}
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	if err != nil || len(dirs) != 1 {
		return fmt.Errorf("log directories of %d brokers, %v", len(dirs), err)
	}
	deleted, err := admin.DeleteTopics(ctx, "go-admin")
	if err != nil {
		return err
	}
	return deleted.Error()
}

// ends commits two of three transactions, each of a record in every partition.
func ends(ctx context.Context) error {
	const partitions, count = 3, 30
	if err := createTopic(ctx, "go-ends", partitions, nil); err != nil {
		return err
	}
	writer := client(kgo.TransactionalID("go-ends"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer writer.Close()
	for n := 0; n < count; n++ {
		if err := writer.BeginTransaction(); err != nil {
			return err
		}
		for p := int32(0); p < partitions; p++ {
			writer.Produce(ctx, &kgo.Record{Topic: "go-ends", Partition: p, Value: []byte(fmt.Sprint(n))}, nil)
		}
		if err := writer.Flush(ctx); err != nil {
			return err
		}
		if err := writer.EndTransaction(ctx, kgo.TransactionEndTry(n%3 != 0)); err != nil {
			return err
		}
	}
	offsets := map[int32]kgo.Offset{}
	for p := int32(0); p < partitions; p++ {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"go-ends": offsets}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer reader.Close()
	next := map[int32]int{0: 1, 1: 1, 2: 1}
	for read := 0; read < partitions*count*2/3; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if string(record.Value) != fmt.Sprint(next[record.Partition]) {
				return fmt.Errorf("partition %d: %q instead of %d", record.Partition, record.Value, next[record.Partition])
			}
			next[record.Partition]++
			if next[record.Partition]%3 == 0 {
				next[record.Partition]++
			}
			read++
		}
	}
	return nil
}

// offsetsInTransactions copies a topic, and commits how far it came with what it wrote.
func offsetsInTransactions(ctx context.Context) error {
	for _, topic := range []string{"go-source", "go-target"} {
		if err := createTopic(ctx, topic, 1, nil); err != nil {
			return err
		}
	}
	writer := client()
	defer writer.Close()
	for n := 0; n < 100; n++ {
		writer.Produce(ctx, &kgo.Record{Topic: "go-source", Value: []byte(fmt.Sprint(n))}, nil)
	}
	if err := writer.Flush(ctx); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID("go-copy"),
		kgo.ConsumerGroup("go-copy"), kgo.ConsumeTopics("go-source"), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer session.Close()
	for copied := 0; copied < 100; {
		fetches := session.PollRecords(ctx, 10)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		records := fetches.Records()
		for _, record := range records {
			session.Produce(ctx, &kgo.Record{Topic: "go-target", Value: record.Value}, nil)
		}
		committed, err := session.End(ctx, kgo.TryCommit)
		if err != nil {
			return err
		}
		if committed {
			copied += len(records)
		}
	}
	records, err := readAll(ctx, "go-target", 1, 100)
	if err != nil {
		return err
	}
	for n, record := range records {
		if string(record.Value) != fmt.Sprint(n) {
			return fmt.Errorf("record %d is %q", n, record.Value)
		}
	}
	return nil
}

func main() {
	bootstrap = os.Args[1]
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	checks := []struct {
		name string
		run  func(context.Context) error
	}{
		{"codecs", codecs}, {"partitions", partitions}, {"large", large},
		{"tombstones", tombstones}, {"times", times}, {"admin", admin},
		{"transactions", ends}, {"offsets in transactions", offsetsInTransactions},
	}
	failed := false
	for _, check := range checks {
		if err := check.run(ctx); err != nil {
			failed = true
			fmt.Printf("%s: FAILED: %v\n", check.name, err)
		} else {
			fmt.Printf("%s: ok\n", check.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

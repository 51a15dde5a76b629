// Command exactlyonce has transactional programs; exactly_once.py says what they do.
//
//	exactlyonce transfer TOPIC PARTITIONS NAME [SETTING=VALUE...]
//	exactlyonce copy FROM TO [SETTING=VALUE...]
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const abortedEach = 5

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func milliseconds(value string) time.Duration {
	number, err := strconv.Atoi(value)
	must(err)
	return time.Duration(number) * time.Millisecond
}

func options(arguments []string) (words []string, made []kgo.Opt) {
	made = []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestRetries(1000),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	for _, argument := range arguments {
		key, value, found := strings.Cut(argument, "=")
		switch {
		case !found:
			words = append(words, argument)
		case key == "bootstrap.servers":
			made = append(made, kgo.SeedBrokers(value))
		case key == "transactional.id":
			made = append(made, kgo.TransactionalID(value))
		case key == "group.id":
			made = append(made, kgo.ConsumerGroup(value))
		case key == "session.timeout.ms":
			made = append(made, kgo.SessionTimeout(milliseconds(value)))
		case key == "heartbeat.interval.ms":
			made = append(made, kgo.HeartbeatInterval(milliseconds(value)))
		case key == "partition.assignment.strategy" && value == "range":
			made = append(made, kgo.Balancers(kgo.RangeBalancer()))
		default:
			must(errors.New("no such setting: " + argument))
		}
	}
	return words, made
}

// inTransaction tells whether it was committed. What cannot be aborted ends the program.
func inTransaction(client *kgo.Client, commit bool, records ...*kgo.Record) bool {
	ctx := context.Background()
	must(client.BeginTransaction())
	err := client.ProduceSync(ctx, records...).FirstErr()
	if err == nil && commit {
		if err = client.EndTransaction(ctx, kgo.TryCommit); err == nil {
			return true
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		must(client.AbortBufferedRecords(ctx))
	}
	if err = client.EndTransaction(ctx, kgo.TryAbort); !errors.Is(err, kerr.OperationNotAttempted) {
		must(err)
	}
	return false
}

func transfer(ctx context.Context, words []string, made []kgo.Opt) {
	client, err := kgo.NewClient(made...)
	must(err)
	defer client.Close()
	topic, name := words[0], words[2]
	partitions, err := strconv.Atoi(words[1])
	must(err)
	for n := 1; ctx.Err() == nil; n++ {
		places, amount := rand.Perm(partitions), 1+rand.Intn(100)
		one := func(place, change int) *kgo.Record {
			return &kgo.Record{Topic: topic, Partition: int32(place),
				Value: []byte(fmt.Sprintf("%s/%d %d", name, n, change))}
		}
		if inTransaction(client, n%abortedEach != 0, one(places[0], -amount), one(places[1], amount)) {
			fmt.Println("committed", n)
		} else {
			fmt.Println("aborted", n)
		}
	}
}

func copyAll(ctx context.Context, words []string, made []kgo.Opt) {
	session, err := kgo.NewGroupTransactSession(append(made, kgo.ConsumeTopics(words[0]),
		kgo.RequireStableFetchOffsets())...)
	must(err)
	defer session.Close()
	for ctx.Err() == nil {
		records := session.PollRecords(ctx, 100).Records()
		if len(records) == 0 {
			continue
		}
		must(session.Begin())
		written := kgo.AbortingFirstErrPromise(session.Client())
		for _, record := range records {
			session.Produce(context.Background(), &kgo.Record{Topic: words[1], Partition: record.Partition,
				Value: bytes.ToUpper(record.Value)}, written.Promise())
		}
		_, err := session.End(context.Background(), kgo.TransactionEndTry(written.Err() == nil))
		must(err)
	}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	words, made := options(os.Args[2:])
	if os.Args[1] == "transfer" {
		transfer(ctx, words, made)
	} else {
		copyAll(ctx, words, made)
	}
}

// Command member is a member of a group that says what happens to it; members.py has the lines.
//
//	member BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var output sync.Mutex

func say(kind string, words ...any) {
	line := kind
	for _, word := range words {
		line += " " + strings.ReplaceAll(fmt.Sprint(word), "\n", " ")
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(line)
}

func sayPartitions(kind string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
		var partitions []int32
		for _, ofTopic := range got {
			partitions = append(partitions, ofTopic...)
		}
		sort.Slice(partitions, func(i, j int) bool { return partitions[i] < partitions[j] })
		words := make([]any, len(partitions))
		for i, partition := range partitions {
			words[i] = partition
		}
		if len(words) > 0 {
			say(kind, words...)
		}
	}
}

func milliseconds(value string) time.Duration {
	number, err := strconv.Atoi(value)
	if err != nil {
		panic(err)
	}
	return time.Duration(number) * time.Millisecond
}

// With the server's balancer, those that are not sticky or by range mean the classic protocol.
func balancers(names string) kgo.Opt {
	known := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(), "uniform": kgo.CooperativeStickyBalancer(),
	}
	var chosen []kgo.GroupBalancer
	for _, name := range strings.Split(names, ",") {
		chosen = append(chosen, known[name])
	}
	return kgo.Balancers(chosen...)
}

func options(arguments []string) []kgo.Opt {
	topic := arguments[2]
	made := []kgo.Opt{
		kgo.SeedBrokers(arguments[0]), kgo.ConsumerGroup(arguments[1]), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(sayPartitions("assigned")),
		kgo.OnPartitionsRevoked(sayPartitions("revoked")),
		kgo.OnPartitionsLost(sayPartitions("lost")),
	}
	if strings.HasPrefix(topic, "^") {
		made = append(made, kgo.ConsumeRegex())
	}
	for _, argument := range arguments[3:] {
		key, value, _ := strings.Cut(argument, "=")
		switch key {
		case "session.timeout.ms":
			made = append(made, kgo.SessionTimeout(milliseconds(value)))
		case "heartbeat.interval.ms":
			made = append(made, kgo.HeartbeatInterval(milliseconds(value)))
		case "max.poll.interval.ms":
			made = append(made, kgo.RebalanceTimeout(milliseconds(value)))
		case "group.instance.id":
			made = append(made, kgo.InstanceID(value))
		case "group.protocol":
			if value == "consumer" {
				made = append(made, kgo.ServerSideBalancer())
			}
		case "partition.assignment.strategy", "group.remote.assignor":
			made = append(made, balancers(value))
		default:
			panic("no such setting: " + key)
		}
	}
	return made
}

// All records are of one topic: nothing is written to others that an expression may match.
func commit(ctx context.Context, client *kgo.Client, records []*kgo.Record) {
	done := map[int32]kgo.EpochOffset{}
	for _, record := range records {
		say("read", record.Partition, record.Offset, string(record.Value))
		done[record.Partition] = kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
	}
	client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{records[0].Topic: done},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				say("uncommitted", err)
				return
			}
			for _, partition := range answer.Topics[0].Partitions {
				if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
					say("uncommitted", err)
				} else {
					say("committed", partition.Partition, done[partition.Partition].Offset)
				}
			}
		})
}

func main() {
	arguments := os.Args[1:]
	ctx, cancel := context.WithCancel(context.Background())
	client, err := kgo.NewClient(options(arguments)...)
	if err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 500)
		if records := fetches.Records(); len(records) > 0 {
			commit(ctx, client, records)
		}
	}
	client.LeaveGroup()
	client.Close()
	say("stopped")
}

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	env := []string{"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "SESSIONS_TABLE=S", "HOSTS_TABLE=H", "CLOSE_DOCUMENT=c", "INVENTORY_DOCUMENT=i", "IDLE_DOCUMENT=d", "FLEET_TAG_VALUE=f",
		"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:9", "AWS_ENDPOINT_URL_SSM=http://127.0.0.1:9", "AWS_ENDPOINT_URL_EC2=http://127.0.0.1:9"}
	got := make([][]time.Duration, len(os.Args)-1)
	for range 60 {
		for i, p := range os.Args[1:] {
			d, err := firstNext(context.Background(), p, env)
			if err != nil {
				panic(err)
			}
			got[i] = append(got[i], d)
		}
	}
	for i, p := range os.Args[1:] {
		slices.Sort(got[i])
		n := len(got[i])
		fmt.Printf("%-40s min %v q1 %v med %v q3 %v  ratio med %.2f q1 %.2f\n", p, got[i][0], got[i][n/4], got[i][n/2], got[i][3*n/4], float64(got[i][n/2])/float64(got[0][n/2]), float64(got[i][n/4])/float64(got[0][n/4]))
	}
}

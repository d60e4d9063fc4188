package dynamodblocal_test
import ("testing";"fmt";"time";"github.com/aws/aws-sdk-go-v2/aws";"github.com/aws/aws-sdk-go-v2/service/dynamodb/types";"github.com/aws/aws-sdk-go-v2/service/dynamodb";"dcv-session-broker/internal/local/dynamodblocal";"dcv-session-broker/internal/dynamo";"dcv-session-broker/internal/session")
func TestZZ(t *testing.T){
 st0:=time.Now()
 s,err:=dynamodblocal.Start(t.Context(),dynamodblocal.Options{}); if err!=nil{t.Fatal(err)}
 defer s.Stop()
 fmt.Println("start",time.Since(st0))
 c:=dynamodb.NewFromConfig(dynamodblocal.Config(s.Endpoint()))
 in:=sessionsTable("Bench")
 for _,a:=range []string{"DueLane","NextAttemptAt","LiveHostId","LiveOwner"} { in.AttributeDefinitions=append(in.AttributeDefinitions,types.AttributeDefinition{AttributeName:aws.String(a),AttributeType:"S"}) }
 g:=func(n,h,r string){ in.GlobalSecondaryIndexes=append(in.GlobalSecondaryIndexes,types.GlobalSecondaryIndex{IndexName:&n,KeySchema:[]types.KeySchemaElement{{AttributeName:&h,KeyType:"HASH"},{AttributeName:&r,KeyType:"RANGE"}},Projection:&types.Projection{ProjectionType:"ALL"}}) }
 g("due","DueLane","NextAttemptAt"); g("by-host","LiveHostId","SessionId"); g("by-owner","LiveOwner","SessionId")
 if _,err:=dynamodblocal.CreateTable(t.Context(),c,in);err!=nil{t.Fatal(err)}
 st:=dynamodblocal.Store{Client:c,TableName:"Bench"}
 t0:=time.Now(); var ws []session.Write
 for i:=range 1000 { id:=fmt.Sprint("s-",i); st.Put(t.Context(),session.Record{"SessionId":id,"State":"READY","LiveHostId":fmt.Sprint("h",i%100),"LiveOwner":"user1"})
  ws=append(ws,session.Write{SessionID:id,If:[]session.Condition{{Attr:"State",Op:session.Is,Values:[]any{"READY","X"}}},Set:session.Record{"State":"DELETING","DueLane":"1","NextAttemptAt":"2026","A":"b"},Remove:[]string{"x","y","z","u","v"}}) }
 fmt.Println("1000 puts",time.Since(t0))
 tab:=dynamo.New(c,"Bench")
 for _,k:=range []string{"READY","DELETING","READY"} { for i:=range ws { ws[i].Set["State"]=map[string]string{"READY":"DELETING","DELETING":"READY"}[k]; ws[i].If[0].Values[0]=k }
  t0=time.Now(); bad:=0; for _,r:=range tab.Write(t.Context(),ws){ if r.Err!=nil{bad++} }; fmt.Println("1000 writes",time.Since(t0),bad) }
 t0=time.Now(); a,_:=st.All(t.Context()); fmt.Println("scan",len(a),time.Since(t0))
}

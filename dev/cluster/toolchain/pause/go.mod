module segue.dev/dev/cluster/toolchain/pause

go 1.26.6

# Runs one server for as long as somebody wants it.
#
#   sh supervise.sh throwaway|kept FOLDER DATA POSTGRES
#
# Standard input is a pipe whose other end the server's owners hold. The system closes it when they end, however they
# end, kill -9 included; so the end of the input means that nobody wants the server any more. Lines of the input:
#
#   start       the data folder is ready
#   hold TOKEN  another program holds the pipe; confirmed by the file answer-TOKEN
#   keep TOKEN  run on after all holders are gone
#   stop TOKEN  stop now
#
# A throwaway server is stopped the quick way, and the whole folder goes with it. Of a kept one the named pipe stays;
# that nobody reads it tells that this script has ended.

kind=$1 folder=$2 data=$3 postgres=$4
umask 077
trap '' HUP INT
exec 3<&0 </dev/null

if [ "$kind" = throwaway ]; then signal=QUIT; else signal=INT; fi

if read -r word <&3 && [ "$word" = start ]; then
    "$postgres" -D "$data" >"$folder/log" 2>&1 3<&- &
    server=$!
    (
        while read -r word token <&3; do
            case $word in
            keep) exec 4>"$folder/control" ;;
            stop) break ;;
            esac
            : >"$folder/answer-$token"
        done
        [ -e "$folder/exited" ] || kill -s $signal "$server"
    ) &
    watch=$!
    wait "$server"
    echo $? >"$folder/exited"
    # The owner of a throwaway server that died wants to read its log first.
    [ "$kind" = throwaway ] || kill "$watch"
    wait "$watch"
fi

if [ "$kind" = throwaway ]; then
    # An initdb that its owner left alone may still be writing.
    tries=0
    until rm -rf "$folder" 2>/dev/null || [ $tries -ge 50 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
fi

package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// service accepts TCP connections on the loopback interface.
type service struct {
	tally
	listener net.Listener
	ctx      context.Context // ends with the service
	cancel   context.CancelFunc
	active   sync.WaitGroup
}

func (s *service) start(serve func(net.Conn)) (err error) {
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("origin: listen: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.active.Go(func() {
		for {
			conn, err := s.listener.Accept()
			switch {
			case err == nil:
				s.active.Go(func() { serve(conn) })
			case errors.Is(err, net.ErrClosed) || sleepUntil(s.ctx, time.Now().Add(10*time.Millisecond)) != nil: // out of file descriptors, say: not for ever
				return
			}
		}
	})
	return nil
}

// Addr returns the host:port to connect to.
func (s *service) Addr() string { return s.listener.Addr().String() }

// Close ends all connections and the service.
func (s *service) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.active.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("origin: close: %w", err)
	}
	return nil
}

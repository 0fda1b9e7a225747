// SPDX-License-Identifier: Apache-2.0
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

/** Monitors, locks, parks and exceptions of a JVM: four lines, the same in every run. */
public class T {
    static int depth(int n) {
        try {
            return depth(n + 1);
        } catch (StackOverflowError e) {
            return 1;
        }
    }

    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        AtomicLong sum = new AtomicLong();
        Object monitor = new Object();
        long[] counted = new long[1];
        for (int i = 0; i < 200; i++) {
            int n = i;
            pool.submit(() -> {
                byte[][] keep = new byte[64][];
                for (int j = 0; j < 64; j++)
                    keep[j] = new byte[4096 + n];
                sum.addAndGet(keep[63].length);
                for (int j = 0; j < 1000; j++)
                    synchronized (monitor) {
                        counted[0]++;
                    }
            });
        }
        pool.shutdown();
        System.out.println("pool " + pool.awaitTermination(60, TimeUnit.SECONDS) + " " + sum);
        System.out.println("monitor " + counted[0]);
        int overflows = 0, nulls = 0;
        for (int i = 0; i < 20; i++)
            overflows += depth(0);
        for (int i = 0; i < 20000; i++)
            try {
                String nothing = args.length == 0 ? null : "";
                nulls += nothing.length();
            } catch (NullPointerException e) {
                nulls++;
            }
        System.out.println("overflows " + overflows + " nulls " + nulls);
        SynchronousQueue<Integer> queue = new SynchronousQueue<>();
        Thread putter = new Thread(() -> {
            try {
                for (int i = 0; i < 2000; i++)
                    queue.put(i);
            } catch (InterruptedException e) {
                System.out.println("interrupted");
            }
        });
        putter.start();
        long got = 0;
        for (int i = 0; i < 2000; i++)
            got += queue.take();
        putter.join();
        System.out.println("queue " + got);
    }
}

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** The sample shop on Java 17, standard library only. Listens on 127.0.0.1:$PORT; logs JSON lines to standard output. */
public final class Shop {
    private static final int LONGEST_SLOW_MS = 30_000;
    private static final int THREADS = 16;
    private static final int DRAIN_SECONDS = 25;

    private final String version = Files.readString(Path.of("VERSION")).trim();
    private final String host = InetAddress.getLocalHost().getHostName();
    private final String page =
            Files.readString(Path.of("page.html")).replace("{{version}}", version).replace("{{host}}", host);
    private final long pid = ProcessHandle.current().pid();
    private final AtomicInteger running = new AtomicInteger();
    private volatile boolean draining;

    private Shop() throws IOException {}

    public static void main(String[] arguments) throws IOException {
        new Shop().serve(Integer.parseInt(System.getenv().getOrDefault("PORT", "3000")));
    }

    private void serve(int port) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 511);
        ExecutorService workers = Executors.newFixedThreadPool(THREADS);
        server.setExecutor(workers);
        server.createContext("/", this::answer);
        // SIGTERM runs the hook; the machine ends when it returns.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            draining = true;
            log("draining");
            drain();
            server.stop(0);
            workers.shutdown();
            log("stopped");
        }));
        server.start();
        log("listening");
    }

    /** HttpServer.stop() waits its whole time even if nothing is asked any more. */
    private void drain() {
        Instant end = Instant.now().plusSeconds(DRAIN_SECONDS);
        try {
            while (running.get() > 0 && Instant.now().isBefore(end)) {
                Thread.sleep(20);
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void answer(HttpExchange exchange) throws IOException {
        running.incrementAndGet();
        try (exchange) {
            switch (exchange.getRequestURI().getPath()) {
                case "/" -> send(exchange, 200, "text/html; charset=utf-8", page);
                case "/health" -> json(exchange, draining ? 503 : 200, "{\"status\": \"%s\"}".formatted(draining ? "draining" : "ok"));
                case "/version" -> json(exchange, 200, "{\"version\": \"%s\", \"host\": \"%s\", \"pid\": %d}".formatted(version, host, pid));
                case "/slow" -> slow(exchange);
                default -> json(exchange, 404, "{\"error\": \"there is no such path\"}");
            }
        } finally {
            running.decrementAndGet();
        }
    }

    private void slow(HttpExchange exchange) throws IOException {
        String query = exchange.getRequestURI().getQuery();
        String text = query != null && query.startsWith("ms=") ? query.substring(3) : "1000";
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) > LONGEST_SLOW_MS) {
            json(exchange, 400, "{\"error\": \"ms takes 0 to %d\"}".formatted(LONGEST_SLOW_MS));
            return;
        }
        try {
            Thread.sleep(Integer.parseInt(text));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        json(exchange, 200, "{\"waited_ms\": %s, \"version\": \"%s\"}".formatted(text, version));
    }

    private void json(HttpExchange exchange, int status, String text) throws IOException {
        send(exchange, status, "application/json", text + "\n");
    }

    private void send(HttpExchange exchange, int status, String type, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.getResponseHeaders().set("Cache-Control", "no-store");
        if (draining) {
            exchange.getResponseHeaders().set("Connection", "close");
        }
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }

    private void log(String event) {
        System.out.println("{\"time\": \"%s\", \"event\": \"%s\", \"version\": \"%s\", \"pid\": %d}".formatted(Instant.now(), event, version, pid));
    }
}

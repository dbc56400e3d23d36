/// Every migration, oldest first.
package let migrations: [[UInt8]] = [PackageResources._001_trades_sql]
